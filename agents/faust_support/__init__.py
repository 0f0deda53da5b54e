"""What makes Faust behave: each module names the fault of Faust or aiokafka that it mends."""
