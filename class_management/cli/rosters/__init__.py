"""`class-management rosters`: rosters from files and into files, without HTTP."""
