/** What the server says to a visitor. */
export const greeting = (name) => `hello ${name || "visitor"} from node\n`;
