"""Export: a version's shards, its report and its data card."""
