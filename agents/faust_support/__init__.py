"""Workarounds for Faust; each module names the fault of Faust or aiokafka that it fixes."""
