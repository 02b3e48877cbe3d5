"""VDA 5050 as data: messages, the codec, header counters."""
