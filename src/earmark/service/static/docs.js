/** Shows what the service can be asked, with Swagger UI, which the service brings along. */

const description = await (await fetch("openapi.json")).json();

// This Swagger UI draws what OpenAPI 3.1 has in common with 3.0, but refuses the number.
window.SwaggerUIBundle({ spec: { ...description, openapi: "3.0.3" }, dom_id: "#interface", deepLinking: true });
