"""The messages that the service consumes, as they are on the wire (docs/contract.md, section 3)."""
