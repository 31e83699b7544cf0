/** Swagger UI for the specifications that the page lists, with the credentials of the operator's page. */

import { authorization } from "./api.js";

function authorize(request) {
  const isOwn = new URL(request.url, location.href).origin === location.origin;
  if (authorization() && isOwn) request.headers.Authorization ||= authorization();
  return request;
}

SwaggerUIBundle({
  domNode: document.querySelector("#docs"),
  urls: [...document.querySelectorAll("#docs a")].map(link => ({ name: link.textContent, url: link.href })),
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [{ components: { Logo: () => "mtango-gevent" } }], // its own logo has a style in its markup
  layout: "StandaloneLayout",
  deepLinking: true,
  validatorUrl: "none",
  requestInterceptor: authorize,
  showMutatedRequest: false, // the commands for curl do not show the credentials
});
