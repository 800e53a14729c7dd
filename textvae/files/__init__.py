"""Reading and writing files safely: whole or not at all, one writer at a time, nothing trusted."""
