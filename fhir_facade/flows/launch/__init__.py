"""SMART App Launch: the authorization server, free of HTTP. https://hl7.org/fhir/smart-app-launch/STU2.2/"""
