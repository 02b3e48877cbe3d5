"""What a writer may say of what the thoughts have found."""
