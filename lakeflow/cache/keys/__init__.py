"""What a key is: one column or several, how it is checked, and the hash by which its row is placed."""
