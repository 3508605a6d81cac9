"""Reports for people: terminal and Markdown, over one set of plain records."""
