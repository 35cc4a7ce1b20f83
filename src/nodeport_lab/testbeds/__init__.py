"""Testbeds: where packets really travel."""
