"""Moving chunks of items; they know no steps."""
