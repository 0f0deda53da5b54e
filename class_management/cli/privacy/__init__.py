"""`class-management privacy`: what is stored of a person, shown and erased."""
