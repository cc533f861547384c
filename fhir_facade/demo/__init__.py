"""The main job in front of your eyes: an outside app and two people, who meet the facade over HTTP only.

Nothing in here imports a room of the facade; an import contract holds it to that.
"""
