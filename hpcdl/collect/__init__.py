"""Logs to records to tables."""
