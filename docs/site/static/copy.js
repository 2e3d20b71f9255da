// Adds a button to each block of code, which copies the block. Of a session in a terminal (`$ command`), only the
// commands are copied.

document.addEventListener('DOMContentLoaded', () => {
  // Browsers offer the clipboard only to secure pages.
  if (!navigator.clipboard) return;
  for (const pre of document.querySelectorAll('.highlight pre')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      const text = pre.textContent;
      const commands = text.split('\n').filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
      await navigator.clipboard.writeText(commands.length > 0 ? commands.join('\n') : text);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    pre.parentElement.append(button);
  }
});
