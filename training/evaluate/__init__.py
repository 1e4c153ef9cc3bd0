"""What a recogniser is worth: pairs, 1:N, N:N, and whether the test people were trained on."""
