"""Drivers: what connects the mapping to hypervisors."""
