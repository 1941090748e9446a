"""Risk and coverage: which samples to leave unanswered, and what that guarantees."""
