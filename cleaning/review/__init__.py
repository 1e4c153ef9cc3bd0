"""Review: merge candidates go out to people, their answers come back as decisions."""
