/** Where the API is: the files of the console are in `console/<version>/` below it, whatever API Gateway adds in front. */
export const BASE = new URL("../../", import.meta.url);
