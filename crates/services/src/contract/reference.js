// Shows the OpenAPI document that the page names. No document or schema goes to another host.
SwaggerUIBundle({
  url: new URL(document.querySelector("#reference").dataset.document, document.baseURI).href,
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
