"""What compose.yaml needs beside the program: configuration of the services around it, and their secrets."""
