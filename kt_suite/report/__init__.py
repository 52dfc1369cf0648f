"""What a stored search looks like: figures, a report in one file, importance of hyperparameters."""
