"""Safe file access: atomic writes, one writer per folder, bounded reads of untrusted files."""
