"""Features that were computed once, in files that outlive the process."""
