"""The messages that the service consumes, as they are on the wire (contract, section 3)."""
