"""All code that depends on a deep-learning framework; nothing else imports one."""
