"""One module per deep-learning framework; nothing else imports one."""
