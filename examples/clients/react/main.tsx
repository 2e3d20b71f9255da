import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { UserFeed } from "./UserFeed.js";
import { UserTable } from "./UserTable.js";

// The query of this web page is passed on as the query of the list.
const list = new URL(`/users${location.search || "?cursor=start&limit=50"}`, location.href).href;

createRoot(document.getElementById("root")!).render(
  <QueryClientProvider client={new QueryClient()}>
    <section aria-label="Page by page"><UserTable list={list} /></section>
    <section aria-label="An infinite list"><UserFeed list={list} /></section>
  </QueryClientProvider>,
);
