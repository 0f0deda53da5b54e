"""Planning of imports and building of exports, in a process of its own beside the web server."""
