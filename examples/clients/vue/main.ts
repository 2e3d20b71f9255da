import { VueQueryPlugin } from "@tanstack/vue-query";
import { createApp, h } from "vue";
import UserFeed from "./UserFeed.vue";
import UserTable from "./UserTable.vue";

// The query of this web page is passed on as the query of the list.
const list = new URL(`/users${location.search || "?cursor=start&limit=50"}`, location.href).href;

const sections = () => [
  h("section", { "aria-label": "Page by page" }, h(UserTable, { list })),
  h("section", { "aria-label": "An infinite list" }, h(UserFeed, { list })),
];
createApp(sections).use(VueQueryPlugin).mount("#root");
