"""What judges: incoming data, models, promotion and drift."""
