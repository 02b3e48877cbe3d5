"""A robot to practise with: the complete vehicle side of VDA 5050 on a 2-D differential drive."""
