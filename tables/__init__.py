"""The RocksDB-backed table of pending associations and the deadlines over it."""
