"""Key managers to test against; README.md says what each is, what it checks and what it does not."""
