"""What tests share: pictures, hostile files, the desktops, the program as a user runs it."""
