"""Telemetry in, letters and posture out."""
