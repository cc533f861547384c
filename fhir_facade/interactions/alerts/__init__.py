"""Alerts in the write path: which rules a write concerns, what its readings mean, what is written with it.

`consequences.py` is what the interactions call; docs/alerts.md tells the whole.
https://hl7.org/fhir/R4/detectedissue.html, https://hl7.org/fhir/R4/task.html
"""
