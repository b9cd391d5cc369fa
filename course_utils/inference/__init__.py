"""The ideas of the course as code to read: torch in, torch out, equal to `transformers`."""
