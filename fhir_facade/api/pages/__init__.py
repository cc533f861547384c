"""Server-rendered pages: templates, texts, cookies and the headers that keep them safe."""
