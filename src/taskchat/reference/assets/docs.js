// The API reference: Swagger UI on this service's own document. It asks no other host.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

window.SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  displayRequestDuration: true,
  // A token is kept until the page is left, and nowhere else.
  persistAuthorization: false,
  // Schemas are shown where they are used; a list of all of them is of no use below the routes.
  defaultModelsExpandDepth: -1,
  defaultModelRendering: "example",
  // By default Swagger UI sends the document's address to a validator on another host.
  validatorUrl: null,
});
