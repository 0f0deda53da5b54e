"""Where classes, students and associations are kept: protocols, PostgreSQL, memory."""
