"""Archives: events of a bus, kept beyond the log's retention in order of their own time."""
