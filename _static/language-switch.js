// The switch keeps the place on the page, and the question of the page that answers questions.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".language-switch a");
  if (link) link.hash = location.hash;
});
