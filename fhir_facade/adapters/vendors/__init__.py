"""Wearable vendors behind `ports.DeviceVendor`, one file each."""
