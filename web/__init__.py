"""The HTTP side: views, middleware, problem details."""
